"""The languages that a load test speaks: each module turns the server's text into messages of `base`."""
