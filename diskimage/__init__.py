"""Every disk image is a block device."""
