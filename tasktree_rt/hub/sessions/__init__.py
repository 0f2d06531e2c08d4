"""What a peer of each kind may ask on its connection, and what the hub answers."""
