"""What other systems publish, brought into the hub."""
