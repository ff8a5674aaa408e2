"""One module a page; each has `render(view, key)`, a function from a view to what is shown."""
