"""Pictures that only the app needs; what the report shows too lives in `workbench.figures`."""
