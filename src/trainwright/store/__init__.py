"""What is kept: content as objects, facts as rows; nothing is overwritten, and every read is verified."""
