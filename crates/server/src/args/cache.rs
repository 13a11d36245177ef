//! Flags of the response cache.

use std::str::FromStr;

use clap::Args;

#[derive(Debug, Args)]
#[command(next_help_heading = "Response cache")]
pub(crate) struct CacheArgs {
    /// Keep responses in memory for the models whose config asks for it: local,size=BYTES.
    #[arg(long, value_name = "CACHE,KEY=VALUE")]
    pub(crate) cache_config: Vec<CacheConfig>,

    /// Deprecated: --cache-config=local,size=BYTES.
    #[arg(long, value_name = "BYTES")]
    pub(crate) response_cache_byte_size: Option<usize>,
}

/// One `--cache-config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CacheConfig {
    cache: String,
    key: String,
    value: String,
}

impl FromStr for CacheConfig {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(',').and_then(|(cache, setting)| Some((cache, setting.split_once('=')?)));
        let Some((cache, (key, value))) =
            parts.filter(|(cache, (key, _))| !cache.is_empty() && !key.is_empty())
        else {
            return Err("--cache-config option format is '<cache name>,<setting>=<value>'".to_owned());
        };
        Ok(CacheConfig { cache: cache.to_owned(), key: key.to_owned(), value: value.to_owned() })
    }
}

impl CacheArgs {
    /// The size of the cache in bytes; 0 disables it.
    pub(crate) fn byte_size(&self) -> anyhow::Result<usize> {
        if let Some(size) = self.response_cache_byte_size {
            if !self.cache_config.is_empty() {
                anyhow::bail!(
                    "Incompatible flags --response-cache-byte-size and --cache-config both provided. Please provide one or \
                     the other."
                );
            }
            tracing::warn!("--response-cache-byte-size is deprecated: use --cache-config=local,size={size}");
            return Ok(size);
        }
        let mut size = None;
        for CacheConfig { cache, key, value } in &self.cache_config {
            if cache != "local" {
                anyhow::bail!("--cache-config: there is no cache '{cache}' in this server, only 'local'");
            }
            if key != "size" {
                anyhow::bail!("--cache-config: the cache 'local' has no setting '{key}', only 'size'");
            }
            let bytes = value.parse::<usize>();
            size = Some(bytes.map_err(|_| {
                anyhow::anyhow!("--cache-config: size should be a number of bytes, got '{value}'")
            })?);
        }
        Ok(size.unwrap_or(0))
    }
}
