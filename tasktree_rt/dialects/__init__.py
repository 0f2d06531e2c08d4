"""Wire languages: pure text to commands, messages to text. Siblings never import each other."""
