"""The machines of a group: sizes, template, requests for several at once, and who makes room."""
