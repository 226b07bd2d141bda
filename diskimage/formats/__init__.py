"""One file a format: where the guest's bytes are, and the plan that writes them."""
