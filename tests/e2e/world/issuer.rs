//! A token issuer on loopback: keys made for the test, a real web server with their set, which can be told to fail and counts.

use std::process::Command;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::claims;

pub const ISSUER: &str = "https://issuer.test/";

/// A key that signs tokens.
#[derive(Clone)]
pub struct SigningKey {
    pub kid: String,
    pub algorithm: Algorithm,
    pub private: EncodingKey,
    /// The public key, PEM and DER.
    pub pem: Vec<u8>,
    pub der: Vec<u8>,
}

/// How the server answers.
#[derive(Clone)]
pub enum Answers {
    /// With this text.
    With(String),
    /// By sending elsewhere.
    Redirect(String),
    /// With 500.
    Broken,
}

pub struct Issuer {
    port: u16,
    answers: Arc<Mutex<Answers>>,
    hits: Arc<Mutex<usize>>,
}

impl SigningKey {
    pub fn rsa(kid: &str) -> Self {
        Self::generated(kid, Algorithm::RS256, &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
    }

    pub fn ec(kid: &str) -> Self {
        Self::generated(kid, Algorithm::ES256, &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
    }

    pub fn ed(kid: &str) -> Self {
        Self::generated(kid, Algorithm::EdDSA, &["ED25519"])
    }

    fn generated(kid: &str, algorithm: Algorithm, kind: &[&str]) -> Self {
        let folder = xagent_tests::folder("key-");
        let path = folder.path().join("key.pem");
        let path = path.to_str().unwrap();
        openssl(&[&["genpkey", "-out", path, "-algorithm"], kind].concat());
        let private = std::fs::read(path).unwrap();
        let private = match algorithm {
            Algorithm::RS256 => EncodingKey::from_rsa_pem(&private),
            Algorithm::ES256 => EncodingKey::from_ec_pem(&private),
            _ => EncodingKey::from_ed_pem(&private),
        };
        let public = |form| openssl(&["pkey", "-in", path, "-pubout", "-outform", form]);
        let (pem, der) = (public("PEM"), public("DER"));
        Self { kid: kid.to_owned(), algorithm, private: private.unwrap(), pem, der }
    }

    /// Its public half, as it is published.
    pub fn jwk(&self) -> Value {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&self.private, self.algorithm).unwrap()).unwrap();
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk
    }

    /// The header of its tokens.
    pub fn header(&self) -> Value {
        json!({"alg": serde_json::to_value(self.algorithm).unwrap(), "kid": self.kid, "typ": "JWT"})
    }

    pub fn sign(&self, claims: &Value) -> String {
        token(&self.header(), claims, &self.private, self.algorithm)
    }
}

/// A token of whatever header, signed however.
pub fn token(header: &Value, claims: &Value, key: &EncodingKey, algorithm: Algorithm) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

/// Claims of a good token of the issuer.
pub fn issued(tenant: &str, subject: &str, scopes: &[&str]) -> Value {
    let mut claims = claims(tenant, subject, scopes, &[]);
    claims["iss"] = json!(ISSUER);
    claims
}

/// A key set.
pub fn set(keys: &[&SigningKey]) -> String {
    json!({"keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()}).to_string()
}

impl Issuer {
    pub async fn start(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (answers, hits) = (Arc::new(Mutex::new(answers)), Arc::<Mutex<usize>>::default());
        let (said, counted) = (answers.clone(), hits.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (said, counted) = (said.clone(), counted.clone());
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    if stream.read(&mut request).await.unwrap_or(0) == 0 {
                        return;
                    }
                    *counted.lock().unwrap() += 1;
                    let answer = said.lock().unwrap().clone();
                    let _gone = stream.write_all(http(&answer).as_bytes()).await;
                });
            }
        });
        Self { port, answers, hits }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/jwks.json", self.port)
    }

    pub fn answer(&self, answers: Answers) {
        *self.answers.lock().unwrap() = answers;
    }

    /// How often it was asked.
    pub fn hits(&self) -> usize {
        *self.hits.lock().unwrap()
    }

    /// The environment of a server that takes its tokens, and asks again after a second at the soonest.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("XAGENT_JWKS", self.url()),
            ("XAGENT_JWT_ISSUER", ISSUER.to_owned()),
            ("XAGENT_JWKS_MIN_GAP_S", "1".to_owned()),
        ]
    }
}

fn http(answer: &Answers) -> String {
    let (status, header, body) = match answer {
        Answers::With(body) => ("200 OK", String::new(), body.as_str()),
        Answers::Redirect(to) => ("302 Found", format!("location: {to}\r\n"), ""),
        Answers::Broken => ("500 Internal Server Error", String::new(), ""),
    };
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{header}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

/// Runs `openssl`, which comes with Postgres.
pub fn openssl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).output().unwrap_or_else(|error| panic!("openssl: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
