"""What only commands use: enrolment, conformance tests, rights, GitOps, the doctor."""
