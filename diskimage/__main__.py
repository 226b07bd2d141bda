"""`python -m diskimage`."""

from diskimage.cli import main

if __name__ == "__main__":
    main()
