"""The hub on the network: Quart decides, one task carries a connection, Hypercorn serves the rest."""
