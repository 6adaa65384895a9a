"""The page in a real headless Chromium: how it is driven, and what it is shown. Tests, the picture and the benchmark use this."""
