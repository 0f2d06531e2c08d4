"""What a caller may do: the questions that the hub puts to a caller's grants."""
