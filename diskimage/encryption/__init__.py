"""Bytes under a passphrase, wherever they are stored: LUKS 1 and 2, and the old AES of QEMU."""
