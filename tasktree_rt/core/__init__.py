"""What is true of events, logs and trees: pure rules without I/O, without a clock, without JSON."""
