"""Other frameworks' programs as trees. Each module needs its own framework, and imports it at once."""
