"""What the whole-process tests share: daemons, the wire, the HTTP interface, and the frame of a test."""
