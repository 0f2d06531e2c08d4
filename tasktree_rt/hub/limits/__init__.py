"""What one caller may do at once and in a second: token buckets, and counts of what it holds."""
