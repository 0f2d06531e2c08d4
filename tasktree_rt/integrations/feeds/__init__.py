"""Read what a build or test tool prints, and show it as nodes: one module for each tool."""
