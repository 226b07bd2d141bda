"""The pure-Python twin of every kernel: their tests' oracle, and what runs without a compiler."""
