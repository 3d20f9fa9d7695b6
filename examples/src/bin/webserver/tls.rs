//! TLS, by rustls.
//!
//! rustls works on the `futures` crates' `AsyncRead` and `AsyncWrite`, which a socket of rendez has as `FuturesIo`; what it makes of one, hyper
//! takes by `Io`. The handshake runs as part of its connection and holds up nobody else.

use futures_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    },
    server::TlsStream,
};
use rendez::net::{FuturesIo, TcpStream};
use rendez_hyper::Io;
use std::{io, sync::Arc};

/// Makes a TLS session of a connection.
#[derive(Clone)]
pub(crate) struct Tls(TlsAcceptor);

impl Tls {
    /// With a certificate made now, signed by itself: nobody knows it, so clients have to be told to take it (`curl -k`).
    ///
    /// # Errors
    /// If none can be made.
    pub(crate) fn self_signed() -> io::Result<Tls> {
        let names = ["localhost", "127.0.0.1", "::1"].map(String::from);
        let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        Tls::new(made.cert.der().clone(), key.into())
    }

    fn new(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> io::Result<Tls> {
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(vec![certificate], key));
        let mut config = config.map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Tls(Arc::new(config).into()))
    }

    /// Shakes hands.
    ///
    /// # Errors
    /// If the other side does not speak TLS, or breaks it off.
    pub(crate) async fn establish(
        &self,
        stream: TcpStream,
    ) -> io::Result<Io<TlsStream<FuturesIo<TcpStream>>>> {
        stream.set_nodelay(true)?;
        Ok(Io::new(self.0.accept(FuturesIo::new(stream)).await?))
    }
}
