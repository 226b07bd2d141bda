"""The hot loops: C where the extension was built, `diskimage.reference` where it was not.

One module a family. Buffers are the caller's: anything with the buffer protocol, contiguous. No
function keeps a reference. The C releases the interpreter's lock, so calls run beside each other.
`extension.NATIVE` tells which of the two runs, `extension.reason` why.
"""
