"""The commands of `lockd`: one module or folder each, imported when it is called."""
