// The calls of the MinIO JavaScript client, with its defaults.

import { createReadStream, createWriteStream } from "node:fs";
import { stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";

import { Client } from "minio";

const PART_SIZE = 5 * 1024 * 1024;
const URL_SECONDS = 600;

/** The calls by name, each taking the fields of its request. */
export function connect({ endpoint, accessKeyId, secretAccessKey, region }) {
  const { protocol, hostname, port } = new URL(endpoint);
  const client = new Client({
    endPoint: hostname,
    port: Number(port), // 0 means the protocol's own
    useSSL: protocol === "https:",
    accessKey: accessKeyId,
    secretKey: secretAccessKey,
    region,
    partSize: PART_SIZE,
    retryOptions: { disableRetry: true },
  });

  return {
    async put({ bucket, object_key, file }) {
      await client.fPutObject(bucket, object_key, file);
    },

    // A stream of at most one part is read into memory and sent by a single PUT.
    async put_stream({ bucket, object_key, file }) {
      const { size } = await stat(file);
      await client.putObject(bucket, object_key, createReadStream(file), size);
    },

    // fGetObject asks for the size first and keeps a `.part.minio` file; getObject is the plain GET.
    async get({ bucket, object_key, file }) {
      await pipeline(await client.getObject(bucket, object_key), createWriteStream(file));
    },

    async get_range({ bucket, object_key, first, last, file }) {
      const body = await client.getPartialObject(bucket, object_key, first, last - first + 1);
      await pipeline(body, createWriteStream(file));
    },

    async head({ bucket, object_key }) {
      const { size } = await client.statObject(bucket, object_key);
      return { size };
    },

    async multipart({ bucket, object_key, file }) {
      await client.fPutObject(bucket, object_key, file);
    },

    // Given as strings, the source is "/BUCKET/KEY" and the client encodes it.
    async copy({ bucket, source, object_key }) {
      await client.copyObject(bucket, object_key, `/${bucket}/${source}`);
    },

    // The client always asks for pages of 1000.
    async list({ bucket, prefix }) {
      const keys = [];
      for await (const { name } of client.listObjectsV2(bucket, prefix, true)) keys.push(name);
      return keys;
    },

    async delete_many({ bucket, object_keys }) {
      const [failed] = await client.removeObjects(bucket, object_keys);
      if (failed) throw Object.assign(new Error(`${failed.Message} (${failed.Key})`), { name: failed.Code });
    },

    async presign_get({ bucket, object_key }) {
      return client.presignedGetObject(bucket, object_key, URL_SECONDS);
    },

    async presign_put({ bucket, object_key }) {
      return client.presignedPutObject(bucket, object_key, URL_SECONDS);
    },
  };
}
