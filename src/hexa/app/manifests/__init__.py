"""The manifests that install hexa: one source for `hexa manifests`, the kustomize overlays and the Helm chart. No I/O."""
