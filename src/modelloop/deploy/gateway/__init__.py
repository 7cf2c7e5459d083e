"""The serving process. In: packages and the routing table. Out: answers over HTTP, each in the prediction log first."""
