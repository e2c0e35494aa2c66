//! Encodes and decodes messages with prost, with initial buffers sized for this contract's messages.
//! tonic's own codec has no setting for them.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::BufferSettings;
use tonic_prost::ProstCodec;

/// Initial size of a buffer, in bytes; it grows with larger messages. A session takes 1 to 2 kB, and a
/// watch keeps its buffer until it ends: tonic's 8 KiB would be most of its memory.
const BUFFER: usize = 2 * 1024;

/// Encoded bytes that are collected before they are sent: tonic's default.
const YIELD_THRESHOLD: usize = 32 * 1024;

/// The codec of the contract's services.
#[derive(Debug, Clone)]
pub struct Codec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> tonic::codec::Codec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = <ProstCodec<T, U> as tonic::codec::Codec>::Encoder;
    type Decoder = <ProstCodec<T, U> as tonic::codec::Codec>::Decoder;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(buffers())
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(buffers())
    }
}

fn buffers() -> BufferSettings {
    BufferSettings::new(BUFFER, YIELD_THRESHOLD)
}
