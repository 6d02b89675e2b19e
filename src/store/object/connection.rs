//! Azure's connection strings: `Name=value` pairs between semicolons, as the portal and `az storage account
//! show-connection-string` print them. Source: Azure's page "Configure Azure Storage connection strings".

use super::secret::Secret;
use super::settings::Credential;

/// What lockd takes from one.
#[derive(Clone, Debug, Default)]
pub struct ConnectionString {
    /// The account that it is for.
    pub account: Option<String>,
    /// The address of its blobs, where that is not the account's own in the public cloud.
    pub endpoint: Option<String>,
    /// Its key or signature.
    pub credential: Option<Credential>,
}

impl ConnectionString {
    /// Reads one; what is not understood is left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let pairs: Vec<(&str, &str)> = text.trim().split(';').filter_map(|pair| pair.trim().split_once('=')).collect();
        let value = |wanted: &str| {
            let found = pairs.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| *value).filter(|value| !value.is_empty())
        };
        let account = value("AccountName");
        let suffixed = || {
            let suffix = value("EndpointSuffix").filter(|suffix| *suffix != "core.windows.net")?;
            let protocol = value("DefaultEndpointsProtocol").unwrap_or("https");
            Some(format!("{protocol}://{}.blob.{suffix}", account?))
        };
        let key = value("AccountKey").map(|key| Credential::SharedKey(Secret::new(key)));
        let sas = || value("SharedAccessSignature").map(|token| Credential::Sas(Secret::new(token)));
        Self {
            account: account.map(str::to_owned),
            endpoint: value("BlobEndpoint").map(str::to_owned).or_else(suffixed),
            credential: key.or_else(sas),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_found() {
        let one = ConnectionString::parse(
            "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=a+b/c==;EndpointSuffix=core.windows.net",
        );
        assert_eq!((one.account.as_deref(), one.endpoint), (Some("acc"), None));
        assert!(matches!(one.credential, Some(Credential::SharedKey(key)) if key.reveal() == "a+b/c=="));
        let two = ConnectionString::parse("BlobEndpoint=https://x.example/acc;SharedAccessSignature=sv=1&sig=a%3D;");
        assert_eq!((two.account, two.endpoint.as_deref()), (None, Some("https://x.example/acc")));
        assert!(matches!(two.credential, Some(Credential::Sas(sas)) if sas.reveal() == "sv=1&sig=a%3D"));
        let china = ConnectionString::parse("AccountName=acc;AccountKey=k;EndpointSuffix=core.chinacloudapi.cn");
        assert_eq!(china.endpoint.as_deref(), Some("https://acc.blob.core.chinacloudapi.cn"));
        let none = ConnectionString::parse("geheim");
        assert!(none.account.is_none() && none.credential.is_none());
        assert!(!format!("{two:?}", two = ConnectionString::parse("AccountKey=geheim")).contains("geheim"));
    }
}
