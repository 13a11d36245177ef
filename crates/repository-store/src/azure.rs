//! Azure's Blob Storage: credentials and client.

use object_store::azure::{MicrosoftAzure, MicrosoftAzureBuilder};

use crate::StoreLocation;
use crate::client;
use crate::credentials::{Secret, Variables, from_file, members, text, variable};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct AzureCredentials {
    /// The account that the key belongs to.
    account: Option<String>,
    key: Option<Secret>,
    auth_type: Option<String>,
    client_id: Option<String>,
}

/// A client for the container. Makes no request yet. Without a key the machine's managed identity is asked for.
pub(crate) fn open(
    location: &StoreLocation,
    (account, endpoint, container): (&str, Option<&str>, &str),
    variables: Variables<'_>,
) -> Result<MicrosoftAzure, String> {
    let credentials = credentials(location, variables)?;
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account(account)
        .with_container_name(container)
        .with_retry(client::retry())
        .with_client_options(client::options());
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint.to_owned());
    }
    match (credentials.auth_type.as_deref(), credentials.key) {
        (None | Some("shared_key"), Some(Secret(key))) => {
            if let Some(owner) = credentials.account.filter(|owner| owner != account) {
                return Err(format!("the key that is set is one of account '{owner}', not of '{account}'"));
            }
            builder = builder.with_access_key(key);
        }
        (None | Some("managed_identity" | "default"), _) => {}
        (Some("shared_key"), None) => return Err("there is no key; set AZURE_STORAGE_KEY".to_owned()),
        (Some(other), _) => {
            return Err(format!(
                "'{other}' is no way to authenticate; there are shared_key, managed_identity and default"
            ));
        }
    }
    if let Some(id) = credentials.client_id {
        builder = builder.with_client_id(id);
    }
    builder.build().map_err(|e| e.to_string())
}

fn credentials(location: &StoreLocation, variables: Variables<'_>) -> Result<AzureCredentials, String> {
    if let Some(entry) = from_file(location, variables)? {
        let entry = members(&entry, &["account_str", "account_key", "auth_type", "client_id"])?;
        return Ok(AzureCredentials {
            account: text(&entry, "account_str"),
            key: text(&entry, "account_key").map(Secret),
            auth_type: text(&entry, "auth_type"),
            client_id: text(&entry, "client_id"),
        });
    }
    let of = |name| variable(variables, name);
    Ok(AzureCredentials {
        account: of("AZURE_STORAGE_ACCOUNT"),
        key: of("AZURE_STORAGE_KEY").map(Secret),
        auth_type: of("AZURE_STORAGE_AUTH_TYPE"),
        client_id: of("AZURE_STORAGE_CLIENT_ID"),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::credentials::tests::{environment, location};

    const KEY: &str = "a2V5"; // "key" in base64, as keys are.

    fn opened(set: &[(&str, &str)]) -> Result<(), String> {
        let at = location("as://account/container/models");
        open(&at, ("account", None, "container"), &environment(set)).map(drop)
    }

    #[test]
    fn keys_and_identities() {
        opened(&[("AZURE_STORAGE_ACCOUNT", "account"), ("AZURE_STORAGE_KEY", KEY)]).unwrap();
        opened(&[("AZURE_STORAGE_AUTH_TYPE", "managed_identity")]).unwrap();
        opened(&[]).unwrap();
        let other = opened(&[("AZURE_STORAGE_ACCOUNT", "other"), ("AZURE_STORAGE_KEY", KEY)]).unwrap_err();
        assert_eq!(other, "the key that is set is one of account 'other', not of 'account'");
        assert!(opened(&[("AZURE_STORAGE_AUTH_TYPE", "guess")]).unwrap_err().contains("'guess' is no way"));
        assert!(opened(&[("AZURE_STORAGE_AUTH_TYPE", "shared_key")]).unwrap_err().contains("no key"));
    }

    #[test]
    fn the_credential_file_has_an_entry_for_each_container() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let content = r#"{"as": {
            "": {"account_str": "one", "account_key": "MQ=="},
            "as://account/container": {"account_str": "", "auth_type": "managed_identity", "client_id": "c"}}}"#;
        fs::write(file.path(), content).unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        let variables = environment(&[("TRITON_CLOUD_CREDENTIAL_PATH", &path)]);
        let of = |url| credentials(&location(url), &variables).unwrap();
        let first = of("as://one/else");
        assert_eq!((first.account.as_deref(), first.key), (Some("one"), Some(Secret("MQ==".to_owned()))));
        let second = of("as://account/container/models");
        assert_eq!(
            (second.account, second.auth_type.as_deref(), second.client_id.as_deref()),
            (None, Some("managed_identity"), Some("c"))
        );
    }
}
