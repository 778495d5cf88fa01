<?php

declare(strict_types=1);

namespace App\Reverb;

/**
 * One client: its socket, what has arrived and not been understood yet, what is still to be sent, its channels.
 */
final class Connection
{
    private const READ_BYTES = 65536;
    private const LIMIT_BYTES = 1048576;

    public readonly string $id;

    public string $input = '';

    public bool $upgraded = false;

    /** @var array<string, true> */
    public array $channels = [];

    private string $output = '';

    private bool $ending = false;

    /**
     * @param resource $socket
     */
    public function __construct(public readonly mixed $socket)
    {
        stream_set_blocking($socket, false);
        $this->id = random_int(1, 1_000_000_000) . '.' . random_int(1, 1_000_000_000);
    }

    /**
     * Take what has arrived. False when the client has gone, or sends more than is ever wanted.
     */
    public function receive(): bool
    {
        // a client that broke off is answered below, not with PHP's notice
        $bytes = @fread($this->socket, self::READ_BYTES);

        if ($bytes === false || ($bytes === '' && feof($this->socket))) {
            return false;
        }

        $this->input .= $bytes;

        return strlen($this->input) <= self::LIMIT_BYTES;
    }

    public function write(string $bytes): void
    {
        $this->output .= $bytes;
    }

    /**
     * @param array<string, mixed> $message
     */
    public function send(array $message): void
    {
        $this->write(Frame::encode(Frame::TEXT, json_encode($message, JSON_THROW_ON_ERROR)));
    }

    /**
     * Close after everything is sent.
     */
    public function end(): void
    {
        $this->ending = true;
    }

    public function hasOutput(): bool
    {
        return $this->output !== '';
    }

    /**
     * Send what the socket takes. False when the connection is to be closed: done, broken, or a client that does
     * not read.
     */
    public function flush(): bool
    {
        $sent = $this->output === '' ? 0 : @fwrite($this->socket, $this->output);

        if ($sent === false) {
            return false;
        }

        $this->output = substr($this->output, $sent);

        return strlen($this->output) <= self::LIMIT_BYTES && ! ($this->ending && $this->output === '');
    }
}
