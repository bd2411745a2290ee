"""The operator: it follows the objects of a Kubernetes cluster, and keeps the store as they
declare."""
