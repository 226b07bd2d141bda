"""What moves bytes: reads devices, runs plans, hashes and compares."""
