"""TLS of the server's listeners: certificates, handshakes, the encrypted read and write path."""
