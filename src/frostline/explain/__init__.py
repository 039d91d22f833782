"""Pictures of what a network looks at: its first filters, and its responses by depth."""
