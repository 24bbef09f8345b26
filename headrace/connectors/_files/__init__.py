"""Files as source and sink: what LocalFile is made of, and every file system after it."""
