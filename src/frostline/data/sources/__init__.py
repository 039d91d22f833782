"""Where labelled images come from: folders, tables, datasets, arrays."""
