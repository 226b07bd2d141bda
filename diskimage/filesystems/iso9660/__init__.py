"""ISO 9660 with Joliet and Rock Ridge: a lazy, bounded, iterative reader over any source."""

from diskimage.filesystems.iso9660.descriptors import present
from diskimage.filesystems.iso9660.problems import problems
from diskimage.filesystems.iso9660.tree import Tree, open_tree

__all__ = ["Tree", "open_tree", "present", "problems"]
