"""The report: built once as data, shown as HTML, JSON and in the terminal."""
