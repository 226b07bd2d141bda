"""Where plans land."""
