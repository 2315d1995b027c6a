"""The APIs that set a project up: IAM, Cloud Resource Manager and Service Usage."""
