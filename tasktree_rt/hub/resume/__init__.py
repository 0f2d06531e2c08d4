"""Resume: bring a reader from its position to the present."""
