"""Watch projects: subscriptions that survive every loss of the connection."""
