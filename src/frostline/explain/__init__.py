"""Pictures of what a network looks at, where it was wrong, and which labels it doubts."""
