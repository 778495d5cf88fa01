@extends('layout')

@section('title', __('site.tenant', ['name' => $tenant]))

@section('content')
    <h2 class="mt-6 text-lg font-semibold">{{ __('site.files') }}</h2>
    <ul>
        @forelse ($files as $file)
            <li>{{ $file }}</li>
        @empty
            <li>{{ __('site.none') }}</li>
        @endforelse
    </ul>
@endsection
