"""The browser app: it reads the results of runs and shows them. It computes nothing heavy and imports no torch.

`make_app(folder)` makes the Dash app; `serve(app)` runs it. One file per page in `pages`, app-only pictures in
`figures`, what runs in the browser in `assets`. The address of a page holds the whole selection.
"""
