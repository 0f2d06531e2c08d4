"""Access: what a caller may do, API keys, revoked tokens, the audit log."""
