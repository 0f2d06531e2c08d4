"""Who may come in: tokens, their keys, and the origins of web pages."""
