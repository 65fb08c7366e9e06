// The calls of the AWS SDK for JavaScript v3, with its defaults: client-s3, lib-storage and s3-request-presigner.

import { createReadStream, createWriteStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";

import {
  CopyObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
  paginateListObjectsV2,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const PART_SIZE = 5 * 1024 * 1024;
const PAGE_SIZE = 2;
const URL_SECONDS = 600;

/** The calls by name, each taking the fields of its request. */
export function connect({ endpoint, accessKeyId, secretAccessKey, region }) {
  const client = new S3Client({
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
    forcePathStyle: true,
    maxAttempts: 1,
  });

  return {
    async put({ bucket, object_key, file }) {
      await client.send(new PutObjectCommand({ Bucket: bucket, Key: object_key, Body: await readFile(file) }));
    },

    // A stream cannot be hashed beforehand, so its checksum goes into a trailer of an aws-chunked body.
    async put_stream({ bucket, object_key, file }) {
      const { size } = await stat(file);
      const body = createReadStream(file);
      await client.send(new PutObjectCommand({ Bucket: bucket, Key: object_key, Body: body, ContentLength: size }));
    },

    async get({ bucket, object_key, file }) {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: object_key }));
      await pipeline(Body, createWriteStream(file));
    },

    async get_range({ bucket, object_key, first, last, file }) {
      const range = `bytes=${first}-${last}`;
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: object_key, Range: range }));
      await pipeline(Body, createWriteStream(file));
    },

    async head({ bucket, object_key }) {
      const { ContentLength } = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: object_key }));
      return { size: ContentLength };
    },

    async multipart({ bucket, object_key, file }) {
      const params = { Bucket: bucket, Key: object_key, Body: createReadStream(file) };
      await new Upload({ client, params, partSize: PART_SIZE }).done();
    },

    // The SDK sends CopySource as it is; "the value must be URL-encoded".
    async copy({ bucket, source, object_key }) {
      const copySource = `${bucket}/${source.split("/").map(encodeURIComponent).join("/")}`;
      await client.send(new CopyObjectCommand({ Bucket: bucket, Key: object_key, CopySource: copySource }));
    },

    async list({ bucket, prefix }) {
      const keys = [];
      const pages = paginateListObjectsV2({ client, pageSize: PAGE_SIZE }, { Bucket: bucket, Prefix: prefix });
      for await (const page of pages) {
        keys.push(...(page.Contents ?? []).map(({ Key }) => Key));
      }
      return keys;
    },

    async delete_many({ bucket, object_keys }) {
      const Objects = object_keys.map((Key) => ({ Key }));
      const { Errors = [] } = await client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects } }));
      if (Errors.length > 0) {
        throw Object.assign(new Error(`${Errors[0].Message} (${Errors[0].Key})`), { name: Errors[0].Code });
      }
    },

    async presign_get({ bucket, object_key }) {
      const command = new GetObjectCommand({ Bucket: bucket, Key: object_key });
      return getSignedUrl(client, command, { expiresIn: URL_SECONDS });
    },

    // There is no body to hash yet, so the URL names the CRC32 of an empty one: x-amz-checksum-crc32=AAAAAA==.
    async presign_put({ bucket, object_key }) {
      const command = new PutObjectCommand({ Bucket: bucket, Key: object_key });
      return getSignedUrl(client, command, { expiresIn: URL_SECONDS });
    },
  };
}
