//! What an object store needs to be opened, beside its URL. The library reads no environment: all of it is handed in.

use super::secret::Secret;

/// Settings of both services.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// S3 and what speaks it.
    pub s3: S3,
    /// Azure Blob Storage.
    pub azure: Azure,
    /// Certificates (PEM) to trust beside the system's own.
    pub ca: Option<Vec<u8>>,
}

/// Settings of S3.
#[derive(Clone, Debug, Default)]
pub struct S3 {
    /// The service's address; without one it is Amazon's in the region.
    pub endpoint: Option<String>,
    /// The region; `us-east-1` when none is given.
    pub region: Option<String>,
    /// Whether the endpoint may be plain HTTP.
    pub allow_http: bool,
    /// Whether the endpoint has the bucket in its host name, instead of as the first part of its path.
    pub virtual_hosted: bool,
    /// How the service encrypts: `AES256`, `aws:kms`, `aws:kms:dsse` or `sse-c`.
    pub encryption: Option<String>,
    /// The KMS key, when it is not the service's own.
    pub kms_key: Option<String>,
    /// Credentials and their sources, by the names of the usual variables ([`S3::VARIABLES`]).
    pub variables: Vec<(String, Secret)>,
}

impl S3 {
    /// The variables that are understood, and what each is.
    pub const VARIABLES: &[(&str, &str)] = &[
        ("AWS_ACCESS_KEY_ID", "Access key of s3:// stores"),
        ("AWS_SECRET_ACCESS_KEY", "Its secret"),
        ("AWS_SESSION_TOKEN", "Its session, when it is a temporary one"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "Web identity: the file with the token; AWS_ROLE_ARN goes with it"),
        ("AWS_ROLE_ARN", "Web identity: the role to take"),
        ("AWS_ROLE_SESSION_NAME", "Web identity: how the session is called"),
        ("AWS_ENDPOINT_URL_STS", "Web identity: where the token is exchanged"),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "Role of the container (ECS), set by the platform"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "Role of the pod (EKS), set by the platform"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "Its token file, set by the platform"),
        ("AWS_SSE_BUCKET_KEY_ENABLED", "SSE-KMS: use the bucket's key"),
        ("AWS_SSE_CUSTOMER_KEY_BASE64", "SSE-C: the key itself, with --s3-sse sse-c"),
    ];
}

/// Settings of Azure.
#[derive(Clone, Debug, Default)]
pub struct Azure {
    /// The service's address, the account's path included where it has one; without one it is
    /// `https://ACCOUNT.blob.core.windows.net`.
    pub endpoint: Option<String>,
    /// Whether the endpoint may be plain HTTP.
    pub allow_http: bool,
    /// A key or a signature; without either the identities below are asked.
    pub credential: Option<Credential>,
    /// Managed and workload identity, by the names of the usual variables ([`Azure::IDENTITY`]).
    pub identity: Vec<(String, Secret)>,
}

/// What opens a storage account without an identity.
#[derive(Clone, Debug)]
pub enum Credential {
    /// One of the account's two keys.
    SharedKey(Secret),
    /// A shared access signature, of the account or of the container.
    Sas(Secret),
}

impl Azure {
    /// The variables of identities that are understood, and what each is.
    pub const IDENTITY: &[(&str, &str)] = &[
        ("AZURE_CLIENT_ID", "Identity of azure:// stores: the application, or a user-assigned managed identity"),
        ("AZURE_TENANT_ID", "Identity: the tenant"),
        ("AZURE_CLIENT_SECRET", "Identity: the application's secret"),
        ("AZURE_FEDERATED_TOKEN_FILE", "Workload identity: the file with the token, set by the platform"),
        ("AZURE_AUTHORITY_HOST", "Identity: where tokens are given out"),
        ("IDENTITY_ENDPOINT", "Managed identity, set by the platform"),
    ];
}
