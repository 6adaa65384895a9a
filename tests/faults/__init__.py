"""Random fault runs: small sites that are drawn, hurt and judged, by the thousand. `./dev faults` runs them."""
